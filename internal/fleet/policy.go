package fleet

// Policy is a host's last word on what a fleet's server may have done there, as its owner has written it down on the host.
type Policy struct {
	Allow Allow `toml:"allow" json:"allow"`
	// Only, where it is not empty, are patterns of the packages and containers that may be changed; Never are those that must not be. They are
	// shell patterns: nginx*, linux-image-*.
	Only  []string `toml:"only" json:"only"`
	Never []string `toml:"never" json:"never"`
	// Hours is when something may be installed, by the host's own clock: 22:00-05:30. Empty is always. What is approved at another hour waits.
	Hours string `toml:"hours" json:"hours"`
	// Restart: a server may have services restarted, and Reboot: have the host rebooted.
	Restart bool `toml:"restart" json:"restart"`
	Reboot  bool `toml:"reboot" json:"reboot"`
	// Because says why the file could not be understood: then nothing but reports is allowed. Empty where it could.
	Because string `toml:"-" json:"because"`
}

// Allow is how much a server may ask for. Each includes those before it.
type Allow string

// What a server may ask for.
const (
	AllowReport   Allow = "report"   // to look, and nothing more
	AllowPlan     Allow = "plan"     // to say what an installation would do
	AllowSecurity Allow = "security" // to install what is for security, with what that needs
	AllowAll      Allow = "all"      // to install every update that it was given the plan of
)
