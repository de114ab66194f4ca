#!/bin/sh
# Containers by Docker; the daemon starts when somebody asks it.
packages docker.io iptables apparmor
if systemctl --quiet is-enabled docker.service 2>/dev/null; then
    systemctl --quiet disable docker.service
    did 'left docker.service to its socket'
fi
listening docker.socket
member vagrant docker
