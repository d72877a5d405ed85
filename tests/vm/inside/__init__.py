"""Programs that run inside the virtual machine: with the standard library and what `vm.disks` puts there."""
