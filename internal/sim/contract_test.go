package sim_test

import (
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/sim"
	"github.com/roomcast/roomcast/internal/store/storetest"
)

func TestStoreKeepsTheContractOfStores(t *testing.T) {
	storetest.Run(t, func(*testing.T) (control.Store, control.Leases) {
		s := sim.NewStore(time.Now)
		return s, s
	})
}
