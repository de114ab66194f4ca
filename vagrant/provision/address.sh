#!/bin/sh
# As the user vagrant, at every `vagrant up`: where JupyterLab is.
set -eu
tries=0
until python3 -c 'import urllib.request; urllib.request.urlopen("http://127.0.0.1:8888/api", timeout=5)' 2>/dev/null; do
    tries=$((tries + 1))
    if [ $tries -gt 240 ]; then
        XDG_RUNTIME_DIR=/run/user/$(id -u) journalctl --user -u jupyterlab -n 20 --no-pager >&2
        echo 'labkit: JupyterLab did not answer; its last words are above' >&2
        exit 1
    fi
    sleep 0.5
done
echo "labkit: JupyterLab is at  http://127.0.0.1:$PORT/lab?token=$(cat "$HOME/.config/labkit-token")"
