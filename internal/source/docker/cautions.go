package docker

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
)

// databases are repositories of databases, and of programs that treat theirs as such: a newer major version reads the data only after a conversion, and
// an older one never again.
var databases = []string{
	"postgres", "postgresql", "timescaledb", "postgis", "pgvector", "mysql", "mysql-server", "mariadb", "percona", "percona-server", "mongo", "mongodb",
	"mongodb-community-server", "redis", "valkey", "elasticsearch", "opensearch", "cassandra", "scylla", "couchdb", "couchbase", "influxdb", "neo4j", "clickhouse-server",
	"clickhouse", "cockroach", "arangodb", "rethinkdb", "rabbitmq", "etcd", "consul", "vault", "zookeeper", "kafka", "solr", "nextcloud", "gitlab-ce", "gitlab-ee",
}

// cautions adds what a person should know of one update before it is approved; what may cost data comes first.
func (d *drafting) cautions(name string, u fleet.Update) {
	if from, to := majorStep(u); from != "" {
		d.plan.Warnings = slices.Insert(d.plan.Warnings, 0, fmt.Sprintf(
			"MAJOR VERSION: %s goes from %s %s to %s: it may refuse its data, or convert them so that there is no way back: read its notes, and make a backup, before the update", name, u.Name, from, to))
	}
	for _, change := range u.Changes {
		if change.What == "volumes" && change.From != "" {
			d.warn("%s: the newer image keeps its data elsewhere (%s, until now %s): see its notes before the update", name, cmp.Or(change.To, "in no volume"), change.From)
		}
	}
	if len(u.Changes) > 0 {
		d.warn("%s runs otherwise in the newer image: redflag show %s", name, u.Name)
	}
	if u.Note != "" {
		d.warn("%s: %s", name, u.Note)
	}
}

// majorStep gives the versions of a database's step from one major version to another; empty where it is none, or none is known.
func majorStep(u fleet.Update) (from, to string) {
	named, err := reference.ParseNormalizedNamed(u.Name)
	if err != nil || !slices.Contains(databases, path.Base(reference.Path(named))) {
		return "", ""
	}
	a, b := majorOf(path.Base(reference.Path(named)), u.FromVersion), majorOf(path.Base(reference.Path(named)), u.ToVersion)
	if a == "" || b == "" || a == b {
		return "", ""
	}
	return u.FromVersion, u.ToVersion
}

// majorOf gives the part of a version that stands for the format of its data. MySQL, MariaDB and PostgreSQL before 10 count two numbers.
func majorOf(name, version string) string {
	version = strings.TrimPrefix(version, "v")
	end := strings.IndexFunc(version, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end >= 0 {
		version = version[:end]
	}
	parts := strings.Split(version, ".")
	if parts[0] == "" {
		return ""
	}
	two := strings.HasPrefix(name, "mysql") || strings.HasPrefix(name, "mariadb") || strings.HasPrefix(name, "percona") || strings.HasPrefix(name, "mongo") ||
		strings.HasPrefix(name, "postgres") && len(parts[0]) == 1
	if two && len(parts) > 1 {
		return parts[0] + "." + parts[1]
	}
	return parts[0]
}
