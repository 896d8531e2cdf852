// Package exposure knows which hosts of a fleet have which vulnerabilities, which of their pending updates mend them, and what to do first. It holds in memory
// what it has made of the store and of the feeds of advisories: each distinct version of a package once, with the set of hosts that have it. All of it can be made
// again at any time, so nothing of it is kept; what a host reports changes what is there of that host alone, and only what no host had before is looked up in feeds.
// Buckets, suppressions, what is exploited and how probable that is are looked up when something is shown, so that they count at once when they change.
package exposure
