package session

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/geotop/geotop/model"
)

// resources is where the API has the objects that rows are about, by kind; %s is the
// namespace where there is one.
var resources = map[string]string{
	"Node": "/api/v1/nodes", "Pod": "/api/v1/namespaces/%s/pods",
	"Deployment": "/apis/apps/v1/namespaces/%s/deployments", "StatefulSet": "/apis/apps/v1/namespaces/%s/statefulsets",
	"DaemonSet": "/apis/apps/v1/namespaces/%s/daemonsets", "ReplicaSet": "/apis/apps/v1/namespaces/%s/replicasets",
	"Job": "/apis/batch/v1/namespaces/%s/jobs", "CronJob": "/apis/batch/v1/namespaces/%s/cronjobs",
	"Volume": "/apis/longhorn.io/v1beta2/namespaces/longhorn-system/volumes", "Backup": "/apis/longhorn.io/v1beta2/namespaces/longhorn-system/backups",
	"EtcdSnapshot": "/apis/k3s.cattle.io/v1/etcdsnapshotfiles",
}

// YAML gives an object as the API has it, a line each. What only machines read of it is
// left out, and so are values of variables that look like secrets.
func YAML(ctx context.Context, api API, kind, namespace, name string) ([]string, error) {
	path, known := resources[kind]
	if !known {
		return nil, fmt.Errorf("a %s is no object of the API", strings.ToLower(kind))
	}
	if strings.Contains(path, "%s") {
		path = fmt.Sprintf(path, url.PathEscape(namespace))
	}
	raw, err := api.Request(ctx, http.MethodGet, path+"/"+url.PathEscape(name), nil, "", nil)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, fmt.Errorf("%s %s cannot be read: %w", kind, name, err)
	}
	if meta, is := object["metadata"].(map[string]any); is {
		delete(meta, "managedFields")
		if notes, is := meta["annotations"].(map[string]any); is {
			delete(notes, "kubectl.kubernetes.io/last-applied-configuration")
		}
	}
	hide(object)
	text, err := yaml.Marshal(object)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i := range lines {
		lines[i] = model.Strip(lines[i])
	}
	return lines, nil
}

// secret is how variables are called that hold what nobody should read over a shoulder.
var secret = regexp.MustCompile(`(?i)passw|secret|token|api_?key|access_?key|private|credential|dsn$`)

const hidden = "(hidden)"

// hide takes the values of such variables out, wherever in the object they are.
func hide(v any) {
	switch v := v.(type) {
	case []any:
		for _, of := range v {
			hide(of)
		}
	case map[string]any:
		name, named := v["name"].(string)
		if _, valued := v["value"].(string); named && valued && secret.MatchString(name) {
			v["value"] = hidden
		}
		for _, of := range v {
			hide(of)
		}
	}
}
