"""A virtual machine with cgroup v2, for tests of what runs in containers there, on machines of any version.

Emulated in software, since nested virtualization can't be relied on: ten to thirty times slower than the machine itself.
"""
