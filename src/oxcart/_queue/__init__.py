"""The parts of ``oxcart.Queue``: what it reads, moves and adds."""
