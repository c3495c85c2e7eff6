# shellcheck shell=bash
# Sourced: sets the array become to what ansible-playbook needs to act as root on this machine.
become=()
if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
  become=(--ask-become-pass)
fi
# Read by whoever sources this.
export become
