"""What machines keep their data on: images, volumes, snapshots, backups."""
