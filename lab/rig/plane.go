package rig

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
)

const (
	podNetwork     = "10.42.0.0/16"
	serviceNetwork = "10.43.0.0/16"
)

const schedulerConfig = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection: {kubeconfig: %q, qps: 2000, burst: 4000}
leaderElection: {leaderElect: false}
`

// startPlane starts the shared control plane and waits until it answers.
func (r *Rig) startPlane(ctx context.Context) error {
	if err := r.startEtcd(ctx); err != nil {
		return err
	}
	if err := r.writePlaneKeys(); err != nil {
		return err
	}
	if err := r.StartAPI(ctx); err != nil {
		return err
	}
	if err := r.startControllers(); err != nil {
		return err
	}
	return r.startScheduler()
}

// restartAfter keeps what cannot start now, for want of an API, from being started
// over and over.
const restartAfter = 500 * time.Millisecond

// startScheduler starts it, and again whenever it ends by itself: it does when it finds
// its own cache wrong, as after an outage of the API, and in a cluster its kubelet
// would start it again.
func (r *Rig) startScheduler() error {
	c, err := r.launch("kube-scheduler", "", r.bin["kube-scheduler"],
		"--config="+r.file("scheduler.yaml"), "--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(r.ports["scheduler"]), "--cert-dir="+r.file("scheduler"),
		"--authentication-kubeconfig="+r.Kubeconfig("admin"), "--authorization-kubeconfig="+r.Kubeconfig("admin"))
	if err != nil {
		return err
	}
	go func() {
		<-c.done
		time.Sleep(restartAfter)
		if !r.ending.Load() {
			_ = r.startScheduler()
		}
	}()
	return nil
}

func (r *Rig) startControllers() error {
	args := []string{r.bin["kube-controller-manager"],
		"--kubeconfig=" + r.Kubeconfig("admin"), "--authentication-kubeconfig=" + r.Kubeconfig("admin"), "--authorization-kubeconfig=" + r.Kubeconfig("admin"),
		"--service-account-private-key-file=" + r.file("pki/sa.key"), "--root-ca-file=" + r.ca.file(), "--use-service-account-credentials=false",
		"--bind-address=127.0.0.1", "--secure-port=0", "--cert-dir=" + r.file("kcm"), "--leader-elect=false",
		"--kube-api-qps=2000", "--kube-api-burst=4000", "--concurrent-deployment-syncs=20", "--concurrent-replicaset-syncs=50", "--concurrent-statefulset-syncs=20",
		"--controllers=*,-node-ipam-controller"}
	for _, a := range r.cfg.managerArgs() {
		args = append(args, "--"+a)
	}
	_, err := r.launch("kube-controller-manager", "", args...)
	return err
}

func (r *Rig) file(name string) string { return filepath.Join(r.Dir, name) }

// answers asks a URL for a 200.
func answers(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return nil
}

// writePlaneKeys makes the API server's certificate, the aggregator's and the
// key for service-account tokens.
func (r *Rig) writePlaneKeys() error {
	hosts := []string{"127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "10.43.0.1"}
	for i := range 3 {
		hosts = append(hosts, nodeAddress(i*max(1, r.cfg.PerHouse)))
	}
	if _, err := r.ca.valid("apiserver", "kube-apiserver", hosts); err != nil {
		return err
	}
	if _, err := r.ca.valid("aggregator", "aggregator", nil); err != nil {
		return err
	}
	if _, err := r.ca.valid("kubelet", "kubelet", []string{"127.0.0.1", "localhost"}); err != nil {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.file("pki/sa.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600); err != nil {
		return err
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	return os.WriteFile(r.file("pki/sa.key"), private, 0o600)
}

// StartAPI starts the API server, on its old port and data when it ran before.
// Two of its clients are then started anew, which stand in for what real ones
// do: a controller-manager that could not reach the API has lost its leadership
// and begins again, and kubelets try every few seconds, where KWOK waits ever
// longer.
func (r *Rig) StartAPI(ctx context.Context) error {
	before := r.component("kube-apiserver")
	if before != nil && before.Up() {
		return nil
	}
	if before == nil {
		return r.launchAPI(ctx, "kube-apiserver", "api", 0)
	}
	// The old controller-manager would call every node lost at its first look.
	if c := r.component("kube-controller-manager"); c != nil {
		c.kill()
	}
	if err := r.launchAPI(ctx, "kube-apiserver", "api", 0); err != nil {
		return err
	}
	if err := r.replayAll(ctx); err != nil {
		return err
	}
	return r.startControllers()
}

// StartSecondAPI starts another API server of the same cluster and gives its
// address: that of a second house. The lab's own components know only the first.
func (r *Rig) StartSecondAPI(ctx context.Context) (string, error) {
	if err := r.choosePorts("api2"); err != nil {
		return "", err
	}
	return r.address("api2"), r.launchAPI(ctx, "kube-apiserver-2", "api2", r.cfg.PerHouse)
}

// StopSecondAPI kills it.
func (r *Rig) StopSecondAPI() {
	if c := r.component("kube-apiserver-2"); c != nil {
		c.kill()
	}
}

// launchAPI starts an API server, that of the n-th node, and waits until it is ready.
func (r *Rig) launchAPI(ctx context.Context, name, port string, n int) error {
	audit := r.auditLog()
	if port != "api" {
		audit = r.file(name + "-audit.log")
	}
	c, err := r.launch(name, "", r.bin["kube-apiserver"],
		"--etcd-servers="+r.etcdServers(), "--secure-port="+strconv.Itoa(r.ports[port]), "--bind-address=127.0.0.1", "--advertise-address="+nodeAddress(n),
		"--tls-cert-file="+r.file("pki/apiserver.crt"), "--tls-private-key-file="+r.file("pki/apiserver.key"), "--client-ca-file="+r.ca.file(),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+r.file("pki/sa.pub"), "--service-account-signing-key-file="+r.file("pki/sa.key"),
		"--authorization-mode=Node,RBAC", "--service-cluster-ip-range="+serviceNetwork, "--allow-privileged=true",
		"--default-not-ready-toleration-seconds="+seconds(r.cfg.Tolerations), "--default-unreachable-toleration-seconds="+seconds(r.cfg.Tolerations),
		"--max-requests-inflight=2000", "--max-mutating-requests-inflight=1000",
		"--kubelet-certificate-authority="+r.ca.file(), "--kubelet-preferred-address-types=InternalDNS",
		"--kubelet-client-certificate="+r.file("pki/admin.crt"), "--kubelet-client-key="+r.file("pki/admin.key"),
		"--requestheader-client-ca-file="+r.ca.file(), "--requestheader-allowed-names=aggregator", "--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file="+r.file("pki/aggregator.crt"), "--proxy-client-key-file="+r.file("pki/aggregator.key"),
		"--audit-policy-file="+r.file("audit-policy.yaml"), "--audit-log-path="+audit, "--audit-log-mode=blocking")
	if err != nil {
		return err
	}
	cfg, err := r.RestConfig("admin")
	if err != nil {
		return err
	}
	transport, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return err
	}
	return c.await(ctx, time.Minute, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+r.address(port)+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := transport.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz says %s", resp.Status)
		}
		return nil
	})
}

// APIAddress is where the API server listens.
func (r *Rig) APIAddress() string { return r.address("api") }

// StopAPI kills the API server, as a crash or a pulled plug would.
func (r *Rig) StopAPI() {
	if c := r.component("kube-apiserver"); c != nil {
		c.kill()
	}
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }

// nodeAddress is the n-th machine's place on the tailnet.
func nodeAddress(n int) string { return net.IPv4(100, 64, byte(n/250), byte(n%250+1)).String() }
