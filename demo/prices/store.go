package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/lib/pq"
)

const (
	edge        = "prices → postgres"
	connections = 8
)

// store is PostgreSQL over a pool of kept connections.
type store struct {
	*sql.DB
	ledger *ledger
}

func open(port int, ledger *ledger) (*store, error) {
	// With binary parameters a statement is parsed, bound and executed in one round trip: one request.
	const options = "user=postgres dbname=postgres sslmode=disable binary_parameters=yes"
	connector, err := pq.NewConnector(fmt.Sprintf("host=127.0.0.1 port=%d %s", port, options))
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(counting{connector, ledger})
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	return &store{pool, ledger}, nil
}

// cents is what one piece of an item costs.
func (s *store) cents(ctx context.Context, item int) (cents int, err error) {
	err = s.QueryRowContext(ctx, "SELECT cents / pieces FROM price WHERE item = $1", item).Scan(&cents)
	s.ledger.count(edge, outcome(err), "SELECT price")
	return cents, err
}

// outcome is OK, or the word SQLSTATE and the code.
func outcome(err error) string {
	var refused *pq.Error
	if errors.As(err, &refused) {
		return "SQLSTATE " + string(refused.Code)
	}
	return "OK"
}

// counting counts new connections: what is said to open one is a request too.
type counting struct {
	driver.Connector
	ledger *ledger
}

func (c counting) Connect(ctx context.Context) (driver.Conn, error) {
	connection, err := c.Connector.Connect(ctx)
	if err == nil {
		c.ledger.count(edge, "OK", "Startup")
	}
	return connection, err
}
