"""The hypervisor driver that the lab adds to Nova."""
