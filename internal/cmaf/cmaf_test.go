package cmaf_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/media"
)

var update = flag.Bool("update", false, "rewrite golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	text := []byte(hex.Dump(got))
	if *update {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, want) {
		t.Errorf("%s differs from the golden file:\n%s", name, text)
	}
}

func configs(t *testing.T) map[string]media.Config {
	t.Helper()
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return map[string]media.Config{
		"avc": {
			Kind: media.Video, Codec: media.AVC, Timescale: 90000, WidthPixels: 322, HeightPixels: 182,
			Record: unhex("0164000dffe1001a6764000dacb40a8cf1136022000003000200000300641e28554001000568ce0fc40cfdf8f800"),
		},
		"hevc": {
			Kind: media.Video, Codec: media.HEVC, Timescale: 90000, WidthPixels: 322, HeightPixels: 182,
			Record: unhex("0102200000009000000000003cf000fcfdfafa00000f03a00001001840010c01ffff02200000030090000003000003003c959409a10001002b42010102200000030090000003000003003ca00a880c1c44cd965654a4c2f0168080000003008000000c84a2000100064401c073c189"),
		},
		"aac": {Kind: media.Audio, Codec: media.AAC, Timescale: 44100, SampleRateHz: 44100, Channels: 1, Record: unhex("1208")},
	}
}

func TestInit(t *testing.T) {
	for name, config := range configs(t) {
		t.Run(name, func(t *testing.T) {
			got, err := cmaf.Init(config)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+"-init.txt", got)
			f, err := mp4.DecodeFile(bytes.NewReader(got))
			if err != nil {
				t.Fatal(err)
			}
			trak := f.Init.Moov.Trak
			stsd := trak.Mdia.Minf.Stbl.Stsd
			if f.Ftyp.MajorBrand() != "cmfc" || trak.Edts != nil || trak.Mdia.Mdhd.Timescale != config.Timescale || f.Init.Moov.Mvex.Trex == nil {
				t.Errorf("brand %s, edit list %v, timescale %d", f.Ftyp.MajorBrand(), trak.Edts != nil, trak.Mdia.Mdhd.Timescale)
			}
			var record bytes.Buffer
			switch config.Codec {
			case media.AVC:
				err = stsd.AvcX.AvcC.DecConfRec.Encode(&record)
			case media.HEVC:
				err = stsd.HvcX.HvcC.DecConfRec.Encode(&record)
			case media.AAC:
				record.Write(stsd.Mp4a.Esds.DecConfigDescriptor.DecSpecificInfo.DecConfig)
				if stsd.Mp4a.Esds.EsID != 0 || stsd.Mp4a.SampleRate != 44100 || stsd.Mp4a.ChannelCount != 1 {
					t.Errorf("ES_ID %d, %d Hz, %d channels", stsd.Mp4a.Esds.EsID, stsd.Mp4a.SampleRate, stsd.Mp4a.ChannelCount)
				}
			}
			if err != nil || !bytes.Equal(record.Bytes(), config.Record) {
				t.Errorf("record %x, %v", record.Bytes(), err)
			}
		})
	}
}

func TestInitRefusesWhatItCannotSay(t *testing.T) {
	avc := configs(t)["avc"]
	avc.WidthPixels = 70_000
	for _, c := range []media.Config{{}, {Codec: "av1"}, {Kind: media.Audio, Codec: media.AAC}, avc} {
		if b, err := cmaf.Init(c); err == nil {
			t.Errorf("%+v: %d bytes", c, len(b))
		}
	}
}

func TestHeader(t *testing.T) {
	got := cmaf.Header(3, 1<<33, []cmaf.Sample{
		{DurationTicks: 3600, OffsetTicks: 7200, SizeBytes: 5, Sync: true},
		{DurationTicks: 3690, OffsetTicks: 0, SizeBytes: 2},
	})
	golden(t, "header.txt", got)
	body := append(got, 1, 2, 3, 4, 5, 6, 7)
	f, err := mp4.DecodeFile(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	frag := f.Segments[0].Fragments[0]
	if end := f.Segments[0].Styp.Size() + uint64(frag.Moof.Traf.Trun.DataOffset); end != uint64(len(got)) {
		t.Fatalf("data offset leads to byte %d of %d", end, len(got))
	}
	full, err := frag.GetFullSamples(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(full) != 2 || !bytes.Equal(full[0].Data, []byte{1, 2, 3, 4, 5}) || !bytes.Equal(full[1].Data, []byte{6, 7}) ||
		full[0].DecodeTime != 1<<33 || full[1].DecodeTime != 1<<33+3600 || full[0].CompositionTimeOffset != 7200 || !full[0].IsSync() || full[1].IsSync() {
		t.Errorf("%+v", full)
	}
}
