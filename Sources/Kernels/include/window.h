#ifndef COVPOOL_WINDOW_H
#define COVPOOL_WINDOW_H

#include <stddef.h>

/// The window of a convolution or pooling over one plane: [height, width] in, [.., out_width] out. Of the
/// kernels only im2col, col2im and the depthwise ones heed a dilation other than 1.
typedef struct {
  ptrdiff_t channels, height, width;
  ptrdiff_t kernel_height, kernel_width;
  ptrdiff_t stride, dilation;
  ptrdiff_t pad_top, pad_left;
  ptrdiff_t out_height, out_width;
} covpool_window;

#endif
