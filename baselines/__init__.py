"""Classical features as batched Keras layers, and support vector machines on them as scikit-learn Pipelines."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "hog": ["HOG", "hog_features"],
        "hog_opencv": ["OpenCVHOG", "opencv_hog_features"],
        "lbp": ["LBP", "lbp_codes", "lbp_features"],
        "colour": ["ColourHistogram", "colour_histograms"],
        "glcm": ["GLCM", "glcm_features"],
        "gabor": ["Gabor", "gabor_features"],
        "features": ["HOGFeatures", "LBPFeatures", "PixelFeatures"],
        "gridded": ["ColourFeatures", "GLCMFeatures", "GaborFeatures", "OpenCVHOGFeatures"],
        "approximate": ["KernelMap"],
        "hinge": ["MinibatchSVM"],
        "heads": ["composed"],
        "machines": ["Calibrated", "PairwiseSVM", "SquaredHingeSVM"],
        "svm": ["hog_lbp_svm", "hog_svm", "hog_svm_best", "lbp_svm", "pixels_svm"],
    },
)
