module github.com/geotop/geotop/lab/binaries/longhorn

go 1.26.0

// Only its k8s/crds.yaml is used; nothing of it is compiled.
require github.com/longhorn/longhorn-manager v1.12.0
