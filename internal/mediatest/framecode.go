package mediatest

// The frame number in the picture of the built-in sample, for programs: 14
// squares in a row (cmd/roomcast/sample/make.sh draws them). In units of the
// sample's 854x480, square i covers x = 48+24i … +20, y = 432 … 452:
//
//	white | black | 10 bits, most significant first | even parity | white
const (
	codeWidth, codeHeight = 854, 480
	codeX, codeY          = 48 + 10, 432 + 10
	codeStep              = 24
	codeBits              = 10
)

// FrameNumber reads the sample's frame number out of a picture of any size
// with the sample's aspect ratio: luma holds width*height samples, 0 is black,
// 255 (or 235) white. It answers false where the squares cannot be read.
func FrameNumber(luma []byte, width, height int) (int, bool) {
	if width < 1 || height < 1 || len(luma) < width*height {
		return 0, false
	}
	cell := func(i int) (bit int, sure bool) {
		x := (codeX + codeStep*i) * width / codeWidth
		y := codeY * height / codeHeight
		v := luma[y*width+x]
		if v > 160 {
			return 1, true
		}
		return 0, v < 96
	}
	first, ok0 := cell(0)
	second, ok1 := cell(1)
	last, ok2 := cell(codeBits + 3)
	if !ok0 || !ok1 || !ok2 || first != 1 || second != 0 || last != 1 {
		return 0, false
	}
	n, parity := 0, 0
	for i := range codeBits {
		bit, ok := cell(i + 2)
		if !ok {
			return 0, false
		}
		n, parity = n<<1|bit, parity^bit
	}
	bit, ok := cell(codeBits + 2)
	return n, ok && bit == parity
}
