"""What each block's removal costs trained models, and which number measured in one pass tells it.

Written down before any load or cost was computed (that the models answer as they should had been
looked at: the pitches of 48 sounds, the chapters of the texts by the whole sentence encoder):

Loads
    *Pitch network*: lazy. Phases are random, so that the sounds themselves are not separated at
    all (D near that of shuffled labels), and the last two layers and the readout do most.
    *Sentence encoder*: it was trained to tell texts apart, not chapters, so the whole fall is small
    (below 1); the last block does most, the curve is lazy. *Language model*: D rises first, since
    the first token of any text gets enormous features from some early block on, in all texts alike
    ("massive activations"), and its weight in the mean over tokens depends on their number; it
    falls again at the last block. Without the first token D falls up to the middle blocks and
    rises afterwards, where the next word matters more than the topic.
Costs
    *Language model*: the first block is by far the dearest, the one that makes the massive
    activations the second, and the last one is dear, too; the cheapest lie in the second half.
    Influence and angular distance predict the cost best (rank correlation 0.7), depth less (0.5),
    the load not at all (below 0.3 in size). *Sentence encoder*: all blocks cost little, and
    six blocks say little; influence is best. *Pitch network*: it has no skip connections. Only its
    third and fourth layer can be skipped at all, the others change the number of channels, and
    without either one it hears no pitch any more.
Criterion
    Spearman's rank correlation over the blocks of a model, of each predictor with the cost, with
    the 95 % interval of a bootstrap over inputs. Predictors: load, load on the second part, block
    influence, angular distance, and depth, shallow blocks first. One is better than another on a
    model if the interval of the difference of their correlations leaves out 0.
Null model
    Blocks whose order says nothing: by chance 95 % of the correlations of 30 blocks lie within
    0.36, of six blocks within 0.83. In ten kinds of small networks depth was the best predictor
    (mean 0.83; `sbt_book.advice.removal_ranks`).
"""
