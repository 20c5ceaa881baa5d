module github.com/geotop/geotop/lab/binaries/k3s

go 1.26.0

// Only its CRDs are used; nothing of it is compiled.
require github.com/k3s-io/api v0.2.1
