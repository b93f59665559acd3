"""One typed function a script or read; each builds a ``Call`` and does no I/O."""
