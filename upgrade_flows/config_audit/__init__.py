"""What another release means for configuration files: found, ranked, and fixed where it can be.

::

    files ──► inifile ──► services (whose they are, on which host)
                              │
    metadata of two releases ─┴─► change ─► compare, taken, defaults, hosts ─► findings ─► fix

Nothing is asked of a cloud: the metadata of the releases is part of the package (``metadata``,
made by ``making``), or is read from an installed environment (``environment``).
"""
