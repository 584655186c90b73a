# What docs/how-to/notify.md tells to type beside orderd; a test holds the two together.
cd /
runuser -u postgres -- createuser orderd-notify
runuser -u postgres -- psql --dbname=orderd <<'END'
GRANT SELECT ON users, schema_migrations TO "orderd-notify";
GRANT SELECT, INSERT, UPDATE ON notifications TO "orderd-notify";
GRANT SELECT, INSERT, UPDATE, DELETE ON message_tries, queue_pauses, daemons TO "orderd-notify";
END
rabbitmqctl add_user orderd-notify 'PASSWORD'
rabbitmqctl set_permissions orderd-notify '^(user|admin)_notifications(\..+)?$|^notifications$|^orderd\.events$' '.*' '^(user|admin)_notifications(\..+)?$|^notifications$|^orderd\.events$'
rabbitmqctl set_permissions orderd '^(user|product|order|orderd)(\..+)?$' '.*' '^(user|product|order|(user|admin)_notifications)(\..+)?$'
echo 'amqp://orderd-notify:PASSWORD@localhost/%2F' >/etc/orderd/notify-credentials/rabbitmq_url
systemctl enable --now orderd-notify
