#!/bin/sh
# As the user vagrant: all of labkit from the checkout, and JupyterLab as a service of that user.
set -eu
if [ -s /tmp/labkit.tar.gz ]; then
    mkdir -p "$HOME/labkit"
    kept=
    if [ -e "$HOME/labkit/notebooks" ]; then
        kept='--anchored --exclude=notebooks'
        echo 'labkit: already there: ~/labkit/notebooks, which may have been worked in; move it away to get it anew'
    fi
    # shellcheck disable=SC2086 # two options
    tar -xzf /tmp/labkit.tar.gz -C "$HOME/labkit" $kept
    rm /tmp/labkit.tar.gz
    echo 'labkit: did: copied the checkout to ~/labkit'
fi
cd "$HOME/labkit"
sh ./lab install
if grep -q "^$(id -un):" /etc/subuid; then
    echo 'labkit: already there: user numbers for labs'
else
    sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "$(id -un)"
    echo 'labkit: did: gave this user numbers for labs'
fi

mkdir -p "$HOME/.config/systemd/user"
token=$HOME/.config/labkit-token
if [ ! -s "$token" ]; then
    (umask 077 && head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$token")
    echo 'labkit: did: made a token for JupyterLab'
fi
cat >"$HOME/.config/systemd/user/jupyterlab.service" <<'END'
[Unit]
Description=JupyterLab on the notebooks of labkit
[Service]
WorkingDirectory=%h/labkit
ExecStart=/bin/sh -c 'JUPYTER_TOKEN=$$(cat %h/.config/labkit-token) exec sh ./lab --ip=0.0.0.0 --port=8888 --ServerApp.port_retries=0 --no-browser'
Restart=on-failure
Delegate=yes
[Install]
WantedBy=default.target
END
sudo loginctl enable-linger "$(id -un)"
XDG_RUNTIME_DIR=/run/user/$(id -u)
export XDG_RUNTIME_DIR
tries=0
until [ -S "$XDG_RUNTIME_DIR/bus" ] || [ $((tries += 1)) -gt 300 ]; do sleep 0.2; done
systemctl --user daemon-reload
systemctl --user --quiet enable jupyterlab.service
systemctl --user restart jupyterlab.service
echo 'labkit: did: started JupyterLab'
