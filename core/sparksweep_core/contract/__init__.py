"""The contract between programs: all that operator, driver, slots, viewer, SDK and chart must agree on, each thing once.

program, driver_config    configuration of drivers and slots, as models
names, labels, ports      of Kubernetes objects; how names are read back
environment, directories  variables and paths of processes and pods
run_layout, line_formats  files of a run and of its trials
viewer                    requests for the files of a run on a cluster

Trials import environment, run_layout and line_formats, which therefore need the standard library only. Requests of slots
to the driver are in ``sparksweep_trainer.protocol``, since both ends are in that package.
"""
