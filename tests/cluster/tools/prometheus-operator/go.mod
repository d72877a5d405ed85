// For the CRDs of ServiceMonitor, PodMonitor and PrometheusRule, which are files of this module. Nothing is compiled.
module sparksweep.test/cluster/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
