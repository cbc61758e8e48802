"""`secretary ha`: what a pair of load balancers asks and is told."""
