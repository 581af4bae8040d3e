"""Celery workers of omnisrc: `celery -A workers worker -Q io,cpu,gpu`."""

from workers.app import app as app
