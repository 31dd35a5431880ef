"""What can go wrong with a connection, one file each, over one shared relay."""
