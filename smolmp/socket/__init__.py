"""Sockets: one sans-IO state machine per kind, and the SocketSet that finds them."""
