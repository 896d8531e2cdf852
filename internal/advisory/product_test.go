package advisory

import "testing"

func TestThePartsOfAReleaseAreLaidTogether(t *testing.T) {
	for ecosystem, want := range map[string]string{
		"Red Hat:enterprise_linux:9::baseos":                            "Red Hat:enterprise_linux:9",
		"Red Hat:enterprise_linux:9::appstream":                         "Red Hat:enterprise_linux:9",
		"Red Hat:rhel_eus:9.2::baseos":                                  "Red Hat:rhel_eus:9.2::baseos",
		"SUSE:Linux Enterprise Module for Basesystem 15 SP5":            "SUSE:Linux Enterprise 15 SP5",
		"SUSE:Linux Enterprise Server 15 SP5":                           "SUSE:Linux Enterprise 15 SP5",
		"SUSE:Linux Enterprise Server 15 SP5-LTSS":                      "SUSE:Linux Enterprise 15 SP5",
		"SUSE:Linux Enterprise High Performance Computing 15 SP4-ESPOS": "SUSE:Linux Enterprise 15 SP4",
		"SUSE:Linux Enterprise Server 12":                               "SUSE:Linux Enterprise 12",
		"SUSE:Linux Enterprise Micro 5.3":                               "SUSE:Linux Enterprise Micro 5.3",
		"SUSE:Linux Enterprise Server for SAP Applications 15 SP5":      "SUSE:Linux Enterprise 15 SP5",
		"openSUSE:Leap 15.5":                                            "openSUSE:Leap 15.5",
		"AlmaLinux:9":                                                   "AlmaLinux:9",
		"Debian:12":                                                     "Debian:12",
	} {
		if got := releaseOf(ecosystem); got != want {
			t.Errorf("%s: %q, want %q", ecosystem, got, want)
		}
	}
}
