"""Work on hosts by the operator's own Ansible playbooks."""
