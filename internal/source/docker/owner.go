package docker

import (
	"strings"

	"redflag/internal/fleet"
)

// Labels by which orchestrators mark their containers.
const (
	labelSwarmTask    = "com.docker.swarm.task.id"
	labelSwarmService = "com.docker.swarm.service.name"
	labelPod          = "io.kubernetes.pod.name"
	labelPodNamespace = "io.kubernetes.pod.namespace"
)

const swarmTask = "task of the swarm service "

// ownerOf says who decides what a container runs, where that is not the person who made it. Such a container is never to be
// made anew by hand: its orchestrator would undo that.
func ownerOf(c running) string {
	service := c.labels[labelSwarmService]
	if _, task := c.labels[labelSwarmTask]; task || service != "" {
		return fleet.Plain(swarmTask + service + ": update the service")
	}
	pod := c.labels[labelPod]
	if pod == "" && strings.HasPrefix(c.name, "k8s_") {
		// k8s_<container>_<pod>_<namespace>_<uid>_<attempt>
		if parts := strings.Split(c.name, "_"); len(parts) >= 6 {
			return workload(parts[3] + "/" + parts[2])
		}
	}
	if pod == "" {
		return ""
	}
	if ns := c.labels[labelPodNamespace]; ns != "" {
		pod = ns + "/" + pod
	}
	return workload(pod)
}

func workload(pod string) string {
	return fleet.Plain("container of the Kubernetes pod " + pod + ": update its workload")
}

func isSwarm(owner string) bool { return strings.HasPrefix(owner, swarmTask) }
