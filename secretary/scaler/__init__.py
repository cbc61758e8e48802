"""The scaler: makes and removes machines, and keeps an inventory of them in etcd."""
