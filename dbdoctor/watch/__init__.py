"""Looking at a server's sessions over time: where snapshots come from, the loop that takes them, recordings, terminating.

`source` says what a product must be able to do; `loop` takes snapshots from any source into a `history`.
"""
