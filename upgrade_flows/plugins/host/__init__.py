"""Ways to work on compute hosts: by ssh, by Ansible, by a program of the operator's own."""
