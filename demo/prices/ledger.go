package main

import (
	"encoding/json"
	"os"
	"sync"
)

// counts are of one edge: how many requests, with which status, to which endpoint.
type counts struct {
	Status    map[string]int `json:"status"`
	Endpoints map[string]int `json:"endpoints"`
}

// ledger counts per edge, as the Python services do.
type ledger struct {
	lock  sync.Mutex
	edges map[string]counts
}

func newLedger() *ledger {
	return &ledger{edges: map[string]counts{}}
}

func (l *ledger) count(edge, status, endpoint string) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if _, known := l.edges[edge]; !known {
		l.edges[edge] = counts{map[string]int{}, map[string]int{}}
	}
	l.edges[edge].Status[status]++
	l.edges[edge].Endpoints[endpoint]++
}

// write writes it as a whole or not at all: a reader never sees half a file.
func (l *ledger) write(path string) error {
	l.lock.Lock()
	defer l.lock.Unlock()
	content, err := json.Marshal(l.edges)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", content, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
