package rig

// kwokConfig is how KWOK plays kubelets: a node that is not ready becomes ready
// (its lease is renewed apart from this), a pod that was placed runs, and so does what is put into it to debug it, a Job's pod
// completes unless it says that it stays, a pod that is deleted goes.
const kwokConfig = `apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
options: {podPlayStageParallelism: 32, nodePlayStageParallelism: 16, nodeLeaseParallelism: 16, enableDebuggingHandlers: true}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: node-ready}
spec:
  resourceRef: {apiGroup: v1, kind: Node}
  selector:
    matchExpressions:
    - {key: '.status.conditions.[] | select( .type == "Ready" ) | .status', operator: NotIn, values: ["True"]}
  next:
    statusTemplate: |
      {{ $now := Now }}
      conditions:
      {{ range NodeConditions }}
      - {type: {{ .type | Quote }}, status: {{ .status | Quote }}, reason: {{ .reason | Quote }}, message: {{ .message | Quote }}, lastHeartbeatTime: {{ $now | Quote }}, lastTransitionTime: {{ $now | Quote }}}
      {{ end }}
      {{ with NodePort }}
      daemonEndpoints: {kubeletEndpoint: {Port: {{ . }}}}
      {{ end }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: node-heartbeat}
spec:
  resourceRef: {apiGroup: v1, kind: Node}
  selector:
    matchExpressions:
    - {key: '.status.conditions.[] | select( .type == "Ready" ) | .status', operator: In, values: ["True"]}
  delay: {durationMilliseconds: 300000, jitterDurationMilliseconds: 360000}
  next:
    statusTemplate: |
      {{ $now := Now }}
      {{ $old := .status.conditions }}
      conditions:
      {{ range $old }}
      - {type: {{ .type | Quote }}, status: {{ .status | Quote }}, reason: {{ .reason | Quote }}, message: {{ .message | Quote }}, lastHeartbeatTime: {{ $now | Quote }}, lastTransitionTime: {{ .lastTransitionTime | Quote }}}
      {{ end }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-run}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: DoesNotExist}
    - {key: '.status.conditions.[] | select( .type == "Ready" ) | .status', operator: NotIn, values: ["True"]}
    - {key: '.status.phase', operator: NotIn, values: [Succeeded, Failed]}
  next:
    statusTemplate: |
      {{ $now := Now }}
      phase: Running
      startTime: {{ $now | Quote }}
      conditions:
      - {type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }}}
      - {type: Ready, status: "True", lastTransitionTime: {{ $now | Quote }}}
      - {type: ContainersReady, status: "True", lastTransitionTime: {{ $now | Quote }}}
      containerStatuses:
      {{ range .spec.containers }}
      - {name: {{ .name | Quote }}, image: {{ .image | Quote }}, imageID: "", ready: true, started: true, restartCount: 0, state: {running: {startedAt: {{ $now | Quote }}}}}
      {{ end }}
      {{ with PodIPsWith .spec.nodeName ( or .spec.hostNetwork false ) ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) }}
      podIP: {{ index . 0 | Quote }}
      {{ end }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-debug}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: DoesNotExist}
    - {key: '.status.phase', operator: In, values: [Running]}
    - {key: '.spec.ephemeralContainers', operator: Exists}
    - {key: '.status.ephemeralContainerStatuses', operator: DoesNotExist}
  next:
    statusTemplate: |
      {{ $now := Now }}
      ephemeralContainerStatuses:
      {{ range .spec.ephemeralContainers }}
      - {name: {{ .name | Quote }}, image: {{ .image | Quote }}, imageID: "", ready: false, started: true, restartCount: 0, state: {running: {startedAt: {{ $now | Quote }}}}}
      {{ end }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-complete}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: DoesNotExist}
    - {key: '.status.phase', operator: In, values: [Running]}
    - {key: '.metadata.ownerReferences.[].kind', operator: In, values: [Job]}
    - {key: '.metadata.annotations["lab/stay"]', operator: DoesNotExist}
  delay: {durationMilliseconds: 500}
  next:
    statusTemplate: |
      {{ $now := Now }}
      phase: Succeeded
      containerStatuses:
      {{ range .spec.containers }}
      - {name: {{ .name | Quote }}, image: {{ .image | Quote }}, imageID: "", ready: false, started: false, restartCount: 0, state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}}
      {{ end }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-go}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: Exists}
  next: {delete: true}
`

// podLog is the file that every pod's log is read from, and podSays what is in it, as
// a container runtime writes it: one line that would clear the screen it is shown on.
const (
	podLog  = "pod.log"
	podSays = "2026-01-02T03:04:05.000000000Z stdout F listening on :8080\n" +
		"2026-01-02T03:04:06.000000000Z stderr F \x1b[2Jsurprise\n"
)

// PodLog is the file that every pod's log is read from.
func (r *Rig) PodLog() string { return r.file(podLog) }

// kwokInside has KWOK serve logs from one file and shells of this machine for every
// pod: log file and working folder. Every port of a pod echoes.
const kwokInside = `---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterLogs
metadata: {name: one-file}
spec: {logs: [{logsFile: %[1]q, previousLogsFile: %[1]q, follow: true}]}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterExec
metadata: {name: here}
spec: {execs: [{local: {workDir: %[2]q, envs: [{name: LAB, value: "inside"}]}}]}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterPortForward
metadata: {name: echo}
spec: {forwards: [{command: [cat]}]}
`

// kwokMetrics has KWOK serve the kubelets' resource metrics, from what pods say
// in annotations that they use.
const kwokMetrics = `---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterResourceUsage
metadata: {name: by-annotation}
spec:
  usages:
  - usage:
      cpu: {expression: '"lab/cpu" in pod.metadata.annotations ? Quantity(pod.metadata.annotations["lab/cpu"]) : Quantity("5m")'}
      memory: {expression: '"lab/memory" in pod.metadata.annotations ? Quantity(pod.metadata.annotations["lab/memory"]) : Quantity("16Mi")'}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Metric
metadata: {name: resource}
spec:
  path: "/metrics/nodes/{nodeName}/metrics/resource"
  metrics:
  - {name: container_start_time_seconds, dimension: container, kind: gauge, help: "start of the container", value: 'pod.SinceSecond()', labels: [{name: container, value: 'container.name'}, {name: namespace, value: 'pod.metadata.namespace'}, {name: pod, value: 'pod.metadata.name'}]}
  - {name: container_cpu_usage_seconds_total, dimension: container, kind: counter, help: "cpu time of the container", value: 'pod.CumulativeUsage("cpu", container.name)', labels: [{name: container, value: 'container.name'}, {name: namespace, value: 'pod.metadata.namespace'}, {name: pod, value: 'pod.metadata.name'}]}
  - {name: container_memory_working_set_bytes, dimension: container, kind: gauge, help: "memory of the container", value: 'pod.Usage("memory", container.name)', labels: [{name: container, value: 'container.name'}, {name: namespace, value: 'pod.metadata.namespace'}, {name: pod, value: 'pod.metadata.name'}]}
  - {name: node_cpu_usage_seconds_total, dimension: node, kind: counter, help: "cpu time of the node", value: 'node.CumulativeUsage("cpu")'}
  - {name: node_memory_working_set_bytes, dimension: node, kind: gauge, help: "memory of the node", value: 'node.Usage("memory")'}
`
