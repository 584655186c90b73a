# What docs/how-to/install.md tells to type on a fresh Debian 13; a test holds the two together.
apt install ./orderd_*_all.deb
cd /
runuser -u postgres -- createuser orderd
runuser -u postgres -- createdb --owner=orderd orderd
rabbitmqctl add_user orderd 'PASSWORD'
rabbitmqctl set_permissions orderd '^(user|product|order|orderd)(\..+)?$' '.*' '^(user|product|order)(\..+)?$'
echo 'amqp://orderd:PASSWORD@localhost/%2F' >/etc/orderd/credentials/rabbitmq_url
systemctl start orderd-migrate
systemctl enable --now orderd
