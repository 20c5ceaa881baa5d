package rig

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Users are the accounts a rig knows, by what they may do.
var Users = []string{"admin", "observer", "viewer", "nodes-only", "none", "expired"}

// groups of the users; rights come from RBAC but for masters.
var groups = map[string][]string{"admin": {"system:masters"}, "observer": {"system:masters"}, "expired": {"system:masters"}}

// writeUsers makes a kubeconfig for every user.
func (r *Rig) writeUsers() error {
	for _, u := range Users {
		from, until := time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
		if u == "expired" {
			until = time.Now().Add(-time.Minute)
		}
		p, err := r.ca.issue(u, u, groups[u], nil, from, until)
		if err != nil {
			return err
		}
		if err := writeKubeconfig(r.Kubeconfig(u), "https://"+r.APIAddress(), r.ca.file(), u, p); err != nil {
			return err
		}
	}
	return nil
}

func writeKubeconfig(path, server, ca, user string, p pair) error {
	c := clientcmdapi.NewConfig()
	c.Clusters["lab"] = &clientcmdapi.Cluster{Server: server, CertificateAuthority: ca}
	c.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificate: p.cert, ClientKey: p.key}
	c.Contexts["lab"] = &clientcmdapi.Context{Cluster: "lab", AuthInfo: user}
	c.CurrentContext = "lab"
	return clientcmd.WriteToFile(*c, path)
}

// Kubeconfig gives the path of the user's kubeconfig.
func (r *Rig) Kubeconfig(user string) string { return filepath.Join(r.Dir, "kubeconfig-"+user) }

// KubeconfigFor writes a kubeconfig of the user for another address of the API,
// a proxy's for one.
func (r *Rig) KubeconfigFor(user, address string) (string, error) {
	return KubeconfigIn(r.Dir, user, address)
}

// KubeconfigIn is KubeconfigFor for the rig whose folder is dir, whoever owns it.
func KubeconfigIn(dir, user, address string) (string, error) {
	path := filepath.Join(dir, "kubeconfig-"+user+"-"+fileName(address))
	pki := (&authority{dir: filepath.Join(dir, "pki")})
	p := pair{filepath.Join(pki.dir, user+".crt"), filepath.Join(pki.dir, user+".key")}
	return path, writeKubeconfig(path, "https://"+address, pki.file(), user, p)
}

// RestConfig reaches the API as the user, without client-go's own rate limit.
func (r *Rig) RestConfig(user string) (*rest.Config, error) {
	return LoadConfig(r.Kubeconfig(user))
}

// LoadConfig reads a kubeconfig as RestConfig does.
func LoadConfig(kubeconfig string) (*rest.Config, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	// Files would be looked at again and again, for as long as the process lives.
	if err := rest.LoadTLSFiles(cfg); err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	cfg.CertFile, cfg.KeyFile, cfg.CAFile = "", "", ""
	cfg.QPS = -1
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	cfg.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return cfg, nil
}

// Client gives a client with all rights.
func (r *Rig) Client() (kubernetes.Interface, error) {
	cfg, err := r.RestConfig("admin")
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(cfg)
}

// viewerRules is what reading everything takes.
var viewerRules = []rbacv1.PolicyRule{
	{APIGroups: []string{""}, Resources: []string{"nodes", "pods", "events", "namespaces", "persistentvolumeclaims", "persistentvolumes", "services"}, Verbs: []string{"get", "list", "watch"}},
	{APIGroups: []string{"apps", "batch", "policy", "storage.k8s.io"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"}},
	{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get", "list", "watch"}},
	{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"get", "list", "watch"}},
	{APIGroups: []string{"k3s.cattle.io"}, Resources: []string{"etcdsnapshotfiles"}, Verbs: []string{"get", "list", "watch"}},
	{APIGroups: []string{"longhorn.io"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"}},
	{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{backupSecret}, Verbs: []string{"get"}},
	{APIGroups: []string{"metrics.k8s.io"}, Resources: []string{"nodes", "pods"}, Verbs: []string{"get", "list"}},
}

// grant gives the users their rights.
func (r *Rig) grant(ctx context.Context, c kubernetes.Interface) error {
	for user, rules := range map[string][]rbacv1.PolicyRule{
		"viewer":     viewerRules,
		"nodes-only": {{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"list"}}},
	} {
		role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "lab-" + user}, Rules: rules}
		if _, err := c.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("role of %s: %w", user, err)
		}
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "lab-" + user},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
		}
		if _, err := c.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("rights of %s: %w", user, err)
		}
	}
	return nil
}
