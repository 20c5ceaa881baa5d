package model

import corev1 "k8s.io/api/core/v1"

// SourcePersistentVolumes tells which nodes a claim's volume can be used on.
const SourcePersistentVolumes = "kube/persistentvolumes"

// PersistentVolume is a core/v1 PersistentVolume that a claim is bound to, cut
// down to what decides where its pods may run.
type PersistentVolume struct {
	Cluster   string               `json:"cluster"`
	Name      string               `json:"name"`
	Namespace string               `json:"namespace"` // of the claim
	Claim     string               `json:"claim"`     // spec.claimRef.name; empty when nobody claims it
	Class     string               `json:"class"`
	Driver    string               `json:"driver,omitempty"`       // of CSI: "driver.longhorn.io", ...
	Affinity  *corev1.NodeSelector `json:"nodeAffinity,omitempty"` // nodes it can be used on; nil: all
}
