"""The conductor as a service: a process that works on submitted runs until it is told to stop.

::

    main ──► settings, logs                    what the configuration says
      │
      ▼
    process ──► start ──► engine.conductor     connected with patience, then watched
      │                        │ every event, when it is on record
      │                        ▼
      │                    metrics, notifications
      ▼
    health, systemd                            how it is, for who asks and for who supervises
"""
