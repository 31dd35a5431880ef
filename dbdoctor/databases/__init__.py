"""What servers say of themselves: one file per product, each giving the text to send and the reading of the answer."""
