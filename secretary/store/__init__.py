"""The directory: etcd behind one door."""
