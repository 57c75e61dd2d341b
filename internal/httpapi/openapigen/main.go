// Command openapigen prints the OpenAPI document of the HTTP API:
//
//	go run ./internal/httpapi/openapigen > docs/openapi.yaml
//
// With the argument "client" it prints the one that the Go client is made from.
package main

import (
	"fmt"
	"os"

	"github.com/roomcast/roomcast/internal/httpapi"
)

func main() {
	document := httpapi.OpenAPI
	if len(os.Args) > 1 && os.Args[1] == "client" {
		document = httpapi.ClientOpenAPI
	}
	doc, err := document()
	if err == nil {
		_, err = os.Stdout.Write(doc)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "openapigen:", err)
		os.Exit(1)
	}
}
