"""MIG, SAP and DCI's entropies as disentanglement_lib computes them (google-research/disentanglement_lib, evaluation/metrics:
utils.py, mig.py, sap_score.py, dci.py, there with scikit-learn and SciPy), for latents computed by a
formula. Its output is the expected values in vae/scores/src/latents/tests.rs, and those of a scikit-learn tree and classifier
(`pip install numpy scikit-learn`) in forest.rs and logistic.rs of the same folder.

    python tests/oracle/factors.py
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeRegressor


def code():
    i = np.arange(600)
    factors = np.stack([i % 3, i // 3 % 5, i // 15 % 8])
    a, b, c = factors
    latents = np.stack([
        a + 0.3 * np.sin(i),
        0.5 * b + 0.4 * np.cos(2 * i),
        0.6 * a - 0.2 * b + 0.5 * np.sin(3 * i),
        c + 0.1 * a * np.cos(i),
        np.sin(5 * i),
    ])
    return latents, factors


def mutual_info(x, y):  # sklearn.metrics.mutual_info_score
    pairs = np.array([[np.sum((x == u) & (y == v)) for v in np.unique(y)] for u in np.unique(x)]) / len(x)
    outer = pairs.sum(1, keepdims=True) * pairs.sum(0, keepdims=True)
    there = pairs > 0
    return np.sum(pairs[there] * np.log(pairs[there] / outer[there]))


def mig(latents, factors, bins=20):
    binned = [np.digitize(z, np.histogram(z, bins)[1][:-1]) for z in latents]
    m = np.array([[mutual_info(z, v) for v in factors] for z in binned])
    m = np.sort(m, axis=0)[::-1]
    return (m[0] - m[1]) / np.array([mutual_info(v, v) for v in factors])


def sap(latents, factors):
    matrix = np.zeros([len(latents), len(factors)])
    for i, z in enumerate(latents):
        for j, v in enumerate(factors):
            cov = np.cov(z, v, ddof=1)
            matrix[i, j] = cov[0, 1] ** 2 / (cov[0, 0] * cov[1, 1]) if cov[0, 0] > 1e-12 else 0.0
    matrix = np.sort(matrix, axis=0)
    return matrix[-1] - matrix[-2]


def entropy(x, base):  # scipy.stats.entropy, of columns
    p = x / x.sum(axis=0)
    return -np.sum(p * np.log(p), axis=0) / np.log(base)


def dci(importance):  # [latents, factors]
    by_latent = 1 - entropy(importance.T + 1e-11, importance.shape[1])
    by_factor = 1 - entropy(importance + 1e-11, importance.shape[0])
    share = importance / importance.sum()
    return np.sum(by_latent * share.sum(axis=1)), np.sum(by_factor * share.sum(axis=0))


def tree():
    i = np.arange(600.0)
    x = np.stack([np.sin(0.37 * i), np.cos(0.11 * i * i), np.sin(7 * i)], axis=1)
    y = 2 * x[:, 0] ** 2 + x[:, 1] + 1.3 * x[:, 2]
    model = DecisionTreeRegressor(max_depth=4, random_state=0).fit(x, y)
    return model.feature_importances_, model.predict(x[[0, 7, 100, 599]])


def classifier():
    i = np.arange(300)
    y = i % 3
    x = np.stack([np.sin(0.7 * i) + 0.5 * y, np.cos(1.3 * i) - 0.4 * (y == 1)], axis=1)
    model = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(x, y)
    return model.coef_, model.intercept_ - model.intercept_.mean(), model.predict(x).tolist().count(2)


if __name__ == "__main__":
    np.set_printoptions(precision=12)
    print("tree", *tree())
    print("classifier", *classifier())
    print("mig", mig(*code()))
    print("sap", sap(*code()))
    print("dci", *dci(np.array([[0.7, 0.1], [0.2, 0.3], [0.1, 0.6]])))
