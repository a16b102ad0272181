// Package campaign holds tests of several processes on one database: writers that
// race, and loops that are killed at random moments. It has no other code.
//
// A test binary runs itself again as the processes. What a process was told is
// stored it prints, and at the end the database is compared with what was printed.
// The flags -campaign.kills and -campaign.rounds make the campaigns longer:
//
//	go test ./internal/campaign -run Kills -campaign.kills 100 -timeout 2h
package campaign
