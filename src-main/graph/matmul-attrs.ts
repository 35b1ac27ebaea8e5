/** Which operands of a matrix product are stored transposed. */
export interface MatmulAttrs {
  readonly [key: string]: boolean | undefined;
  readonly transA?: boolean;
  readonly transB?: boolean;
}
