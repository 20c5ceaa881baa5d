package kube

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/geotop/geotop/model"
)

// nodeMetricsList is the part of metrics.k8s.io/v1beta1 NodeMetricsList that is
// read. JSON, as not every implementation of that API speaks protobuf.
type nodeMetricsList struct {
	Items []struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
		Usage struct {
			CPU    resource.Quantity `json:"cpu"`
			Memory resource.Quantity `json:"memory"`
		} `json:"usage"`
	} `json:"items"`
}

func readUsage(cluster string, body []byte) ([]*model.Usage, error) {
	var l nodeMetricsList
	if err := json.Unmarshal(body, &l); err != nil {
		return nil, fmt.Errorf("node metrics: %w", err)
	}
	usage := make([]*model.Usage, 0, len(l.Items))
	for _, it := range l.Items {
		usage = append(usage, &model.Usage{
			Cluster: cluster, Name: it.Metadata.Name, MilliCPU: it.Usage.CPU.MilliValue(), MemoryBytes: it.Usage.Memory.Value(),
		})
	}
	return usage, nil
}
