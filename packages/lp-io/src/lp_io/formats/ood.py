"""How label files of out-of-distribution data are called, beside the main one."""

OOD = ("_new", "_test")
