package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// prices answers GET /price/ITEM.
type prices struct {
	store  *store
	ledger *ledger
}

func (p prices) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, content := p.answer(r)
	w.Header().Set("Content-Type", "application/json")
	if id := r.Header.Get("X-Request-ID"); id != "" {
		w.Header().Set("X-Request-ID", id)
	}
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(content)
	p.ledger.count("shop.py → prices", strconv.Itoa(status), "/price/{}")
}

// answer is the status and what to say.
func (p prices) answer(r *http.Request) (int, map[string]any) {
	item, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/price/"))
	if err != nil {
		return http.StatusNotFound, map[string]any{"error": "no such page"}
	}
	cents, err := p.store.cents(r.Context(), item)
	switch {
	case err == nil:
		return http.StatusOK, map[string]any{"item": item, "cents": cents}
	case errors.Is(err, sql.ErrNoRows):
		return http.StatusNotFound, map[string]any{"error": "no price"}
	default:
		return http.StatusInternalServerError, map[string]any{"error": err.Error()}
	}
}
