#!/bin/sh
echo "labkit: $LABKIT_NAME is ready"
