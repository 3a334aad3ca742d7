"""Drawbridge's relay beside the bare librdkafka loop and MirrorMaker 2, in one run."""
